# SPDX-License-Identifier: Apache-2.0
# Checks the proposals of scenarios, each put together as `crowbar_batch` would, by the schemas of a tree.
# Argument: the tree. In: {"files": [path, ...], "values": {placeholder: value}, "domain": name, "filled": folder or null}.
# Out: {path: {"proposals": n, "faults": [[proposal, fault], ...]}}. A scenario goes into `filled` with its
# placeholders filled in, its aliases left as they are.

require_relative "proposals"

QUESTION = JSON.parse($stdin.read)
PROPOSALS = Proposals.new(ARGV[0])

def load_yaml(text)
  YAML.respond_to?(:unsafe_load) ? YAML.unsafe_load(text) : YAML.load(text)
end

def fill(text, faults)
  text.gsub(/##([\w-]+)##/) do
    QUESTION["values"].fetch(Regexp.last_match(1)) do |name|
      faults << ["", "no value for the placeholder ##{'#'}#{name}##"]
      "unfilled"
    end.to_s
  end
end

def of_proposal(proposal)
  barclamp = proposal["barclamp"]
  schema = PROPOSALS.file(barclamp, "schema")
  return ["no barclamp of this name has a schema"] unless schema && PROPOSALS.template(barclamp)
  PROPOSALS.faults(schema, PROPOSALS.merged(barclamp, proposal))
rescue StandardError => e
  ["#{e.class}: #{e.message.lines.first}"]
end

def of_scenario(path)
  faults = []
  text = fill(File.read(path), faults).gsub(/@@([^ @]+)@@/, "\\1.#{QUESTION['domain']}")
  document = load_yaml(text)
  proposals = document.is_a?(Hash) ? document["proposals"] : nil
  return { "proposals" => 0, "faults" => faults + [["", "no proposals"]] } unless proposals.is_a?(Array) && !proposals.empty?
  proposals.each do |proposal|
    name = "#{proposal['barclamp']}.#{proposal['name'] || 'default'}"
    of_proposal(proposal).each { |fault| faults << [name, fault] }
  end
  { "proposals" => proposals.length, "faults" => faults }
rescue Psych::Exception => e
  { "proposals" => 0, "faults" => faults + [["", e.message.sub(/\A\(<unknown>\): /, "").lines.first]] }
end

answer = QUESTION["files"].each_with_index.map do |path, number|
  if QUESTION["filled"]
    File.write(File.join(QUESTION["filled"], "#{number}.yaml"), fill(File.read(path), []))
  end
  [path, of_scenario(path)]
end
puts JSON.generate(answer.to_h)
