# SPDX-License-Identifier: Apache-2.0
# What `ruby -c` does, for many files in one process, and the same for ERB templates.
# In: {"ruby": [path, ...], "erb": [path, ...]}. Out: {path: what is wrong, ...}.

require "erb"
require "json"

def first_word(error, path)
  line = error.message.lines.map(&:strip).reject(&:empty?).first.to_s
  line.sub(/\A#{Regexp.escape(path)}:/, "line ").sub(/\Aline (\d+):/, 'line \1:')
end

def template(text)
  ERB.instance_method(:initialize).parameters.include?([:key, :trim_mode]) ? ERB.new(text, trim_mode: "-") : ERB.new(text, nil, "-")
end

question = JSON.parse($stdin.read)
$VERBOSE = nil
wrong = {}
question.fetch("ruby", []).each do |path|
  begin
    RubyVM::InstructionSequence.compile_file(path)
  rescue SyntaxError, StandardError => e
    wrong[path] = first_word(e, path)
  end
end
question.fetch("erb", []).each do |path|
  begin
    RubyVM::InstructionSequence.compile(template(File.read(path)).src, path)
  rescue SyntaxError, StandardError => e
    wrong[path] = first_word(e, path)
  end
end
puts JSON.generate(wrong)
