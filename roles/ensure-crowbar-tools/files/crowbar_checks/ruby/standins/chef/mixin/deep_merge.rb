# SPDX-License-Identifier: Apache-2.0
# Stand-in for chef's deep merge: hashes key by key, lists as unions, anything else is replaced, and nil changes nothing.

class Chef
  module Mixin
    module DeepMerge
      def self.deep_merge!(source, dest)
        if source.nil?
          dest
        elsif source.is_a?(Hash) && dest.is_a?(Hash)
          source.each { |key, value| dest[key] = dest.key?(key) ? deep_merge!(value, dest[key]) : value }
          dest
        elsif source.is_a?(Array) && dest.is_a?(Array)
          dest | source
        else
          source
        end
      end
    end
  end
end
