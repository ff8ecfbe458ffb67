# SPDX-License-Identifier: Apache-2.0
# What a Crowbar tree takes for a valid proposal: its own validator if it has one, its templates and schemas, and how
# `crowbar_batch` puts attributes of a scenario into a proposal. Used by schemas.rb, scenarios.rb and judge.rb.

require "json"
require "kwalify"
require "set"
require "yaml"

require_relative "libraries"

class Proposals
  attr_reader :databags

  def initialize(tree)
    @databags = File.join(tree, "chef", "data_bags", "crowbar")
    own = File.join(tree, "crowbar_framework", "app", "models", "crowbar_validator.rb")
    require own if File.exist?(own)
    @validator = Object.const_defined?(:CrowbarValidator) ? CrowbarValidator : nil
    @validators = {}
  end

  # Since Cloud 6 a file is called template-X, before that bc-template-X.
  def file(barclamp, ending)
    ["template-#{barclamp}", "bc-template-#{barclamp}"].map { |n| File.join(@databags, "#{n}.#{ending}") }.find { |f| File.exist?(f) }
  end

  def template(barclamp)
    path = file(barclamp, "json")
    path && JSON.parse(File.read(path))
  end

  def faults(schema, document)
    validator = (@validators[schema] ||= @validator ? @validator.new(schema) : Kwalify::Validator.new(Kwalify::Yaml.load_file(schema)))
    validator.validate(document).map { |e| "#{e.path.empty? ? '/' : e.path}: #{e.message}" }
  end

  def merged(barclamp, proposal)
    document = template(barclamp)
    if proposal.key?("deployment")
      elements = document["deployment"][barclamp]["elements"]
      elements.keys.each { |role| elements[role] = [] }
    end
    (proposal["wipe_attributes"] || []).each { |attribute| wipe(document["attributes"][barclamp], attribute) }
    wanted = { "attributes" => { barclamp => proposal["attributes"] }, "deployment" => { barclamp => proposal["deployment"] } }
    # A scenario that leaves one of them out means "as it is".
    wanted.each { |_, part| part.delete_if { |_, value| value.nil? } }
    Chef::Mixin::DeepMerge.deep_merge!(wanted, document)
    document["id"] = self.class.id(document["id"], barclamp, proposal["name"] || "default")
    document
  end

  # The framework calls a proposal so before it looks at it: template-nova's are nova-NAME, bc-template-nova's bc-nova-NAME.
  def self.id(template, barclamp, name)
    template.sub(/(bc-)?template-.*/) { "#{Regexp.last_match(1)}#{barclamp}-#{name}" }
  end

  def wipe(attributes, attribute)
    *parents, last = attribute.split(/(?<!\\)\./).map { |s| s.gsub('\.', ".") }
    holder = parents.inject(attributes) { |a, name| a.is_a?(Hash) ? a[name] : nil }
    holder.delete(last) if holder.is_a?(Hash)
  end
end
