# SPDX-License-Identifier: Apache-2.0
# The gems that crowbar_batch wants. Where one is not installed a stand-in of ours takes its place: a few lines that do
# the part of it that crowbar_batch calls. STANDINS has the names of those. Chef's merge is always ours: what nil does
# differs between chef's releases, and Crowbar's is one that can't be had any more.

STANDINS = ["easy_diff", "inifile", "net/http/digest_auth"].reject do |name|
  begin
    require name
    true
  rescue LoadError
    false
  end
end + ["chef/mixin/deep_merge"]

$LOAD_PATH.unshift(File.join(__dir__, "standins"))
STANDINS.each { |name| require name }
