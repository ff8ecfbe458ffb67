# SPDX-License-Identifier: Apache-2.0
# Answers, one line at a time, what the API that crowbar_batch is run against has to know of a tree.
# Argument: the tree. In: {"barclamp": name, "name": proposal}, with "document" where it is to be judged, a line each.
# Out: in a list of one, the proposal made of the template, null where there is none; or the list of faults.

require_relative "proposals"

proposals = Proposals.new(ARGV[0])
$stdout.sync = true
$stdin.each_line do |line|
  question = JSON.parse(line)
  schema = proposals.file(question["barclamp"], "schema")
  template = proposals.template(question["barclamp"])
  id = template && Proposals.id(template["id"], question["barclamp"], question["name"])
  answer = if !question.key?("document")
    template && template.merge("id" => id)
  elsif schema
    proposals.faults(schema, question["document"].merge("id" => id))
  else
    ["no schema"]
  end
  puts JSON.generate([answer])
end
