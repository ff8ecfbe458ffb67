# SPDX-License-Identifier: Apache-2.0
# Runs Crowbar's own crowbar_batch with the gems that are here or our stand-ins, and on a Ruby younger than its own.
# Arguments: the program, then what it is told.

require "yaml"
require_relative "libraries"

# What Ruby 2.1 had.
File.singleton_class.send(:alias_method, :exists?, :exist?) unless File.respond_to?(:exists?)
YAML.singleton_class.send(:alias_method, :load, :unsafe_load) if YAML.respond_to?(:unsafe_load)

program = ARGV.shift
$PROGRAM_NAME = program
load program
