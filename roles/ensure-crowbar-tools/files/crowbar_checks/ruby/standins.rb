# SPDX-License-Identifier: Apache-2.0
# Says which gems our stand-ins take the place of. Out: a list of names.

require "json"
require_relative "libraries"

puts JSON.generate(STANDINS)
