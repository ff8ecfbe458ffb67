# SPDX-License-Identifier: Apache-2.0
# Crowbar's own crowbar-validate-databags on a folder. Its bin/ wants a Ruby older than 3.2, its library does not.
# Arguments: the checkout of that project, the folder. In: nothing that matters. Out: {"said": [line, ...], "worst": code}.

require "json"
require "stringio"

checkout, folder = ARGV
$LOAD_PATH.unshift(File.join(checkout, "lib"))
require "crowbar/validate/databags"

said = StringIO.new
worst = begin
  $stdout = said
  Crowbar::Validate::Databags.validate(folder).min.to_i
rescue StandardError => e
  said.puts "#{e.class}: #{e.message.lines.first}"
  -1
ensure
  $stdout = STDOUT
end
puts JSON.generate("said" => said.string.lines.map(&:strip).reject(&:empty?), "worst" => worst)
