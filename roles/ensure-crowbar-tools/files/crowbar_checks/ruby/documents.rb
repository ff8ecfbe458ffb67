# SPDX-License-Identifier: Apache-2.0
# Reads YAML files as Crowbar's own Ruby reads them. In: a list of paths. Out: for each its value, or the error.

require "json"
require "yaml"

def load_yaml(text)
  YAML.respond_to?(:unsafe_load) ? YAML.unsafe_load(text) : YAML.load(text)
end

answer = JSON.parse($stdin.read).map do |path|
  begin
    [path, { "value" => load_yaml(File.read(path)) }]
  rescue StandardError, SyntaxError => e
    [path, { "error" => e.message.sub(/\A\(<unknown>\): /, "") }]
  end
end
puts JSON.generate(answer.to_h)
