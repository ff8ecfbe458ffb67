# SPDX-License-Identifier: Apache-2.0
# Stand-in for the gem easy_diff: deep copies, and what one hash has that the other has not.

class Hash
  def easy_clone
    Marshal.load(Marshal.dump(self))
  end

  # [what is here and not there, what is there and not here]
  def easy_diff(other)
    [lacking_in(other), other.lacking_in(self)]
  end

  def lacking_in(other)
    each_with_object({}) do |(key, value), lacking|
      theirs = other[key]
      if !other.key?(key)
        lacking[key] = value
      elsif value.is_a?(Hash) && theirs.is_a?(Hash)
        inner = value.lacking_in(theirs)
        lacking[key] = inner unless inner.empty?
      elsif value.is_a?(Array) && theirs.is_a?(Array)
        lacking[key] = value - theirs unless (value - theirs).empty?
      elsif value != theirs
        lacking[key] = value
      end
    end
  end
end
