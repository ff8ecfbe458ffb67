# SPDX-License-Identifier: Apache-2.0
# Checks every schema of a tree by kwalify's own rules, and its template proposal by the schema.
# Argument: the tree. In: a list of schema files. Out: {schema: {"schema": [fault, ...], "template": [...], "revision": n}}.

require_relative "proposals"

proposals = Proposals.new(ARGV[0])

def of_schema(path)
  meta = Kwalify::Yaml::Parser.new(Kwalify::MetaValidator.instance)
  meta.parse_file(path)
  (meta.errors || []).map { |e| "#{e.path}: #{e.message}" }
rescue StandardError => e
  [e.message.lines.first]
end

def of_template(proposals, schema, template)
  return ["no #{File.basename(template)}"], nil unless File.exist?(template)
  document = JSON.parse(File.read(template))
  _, deployment = (document["deployment"] || {}).first
  [proposals.faults(schema, document), deployment && deployment["schema-revision"]]
rescue JSON::ParserError => e
  [["no JSON: #{e.message.lines.first[0, 120]}"], nil]
end

answer = JSON.parse($stdin.read).map do |schema|
  said = { "schema" => of_schema(schema), "template" => [], "revision" => nil }
  if said["schema"].empty?
    said["template"], said["revision"] = of_template(proposals, schema, schema.sub(/\.schema\z/, ".json"))
  end
  [schema, said]
end
puts JSON.generate(answer.to_h)
