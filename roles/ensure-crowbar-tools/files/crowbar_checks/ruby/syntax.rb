# SPDX-License-Identifier: Apache-2.0
# What `ruby -c` does, for many files in one process, and the same for ERB templates.
# In: {"ruby": [path, ...], "erb": [path, ...]}. Out: {path: what is wrong, ...}.

require "erb"
require "json"

def first_word(error, path)
  line = error.message.lines.map(&:strip).reject(&:empty?).first.to_s
  line.sub(/\A#{Regexp.escape(path)}:/, "line ").sub(/\Aline (\d+):/, 'line \1:')
end

# Chef's ERB is Erubis: a line with nothing but a statement leaves nothing behind, not even its end; here that stays inside.
LONE_STATEMENT = /^[ \t]*(<%(?![=%])(?:(?!%>).)*?)-?%>[ \t]*\r?\n/m

def template(text)
  text = text.gsub(LONE_STATEMENT) { "#{Regexp.last_match(1)}\n%>" }
  keyword = ERB.instance_method(:initialize).parameters.include?([:key, :trim_mode])
  keyword ? ERB.new(text, trim_mode: "-") : ERB.new(text, nil, "-")
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
