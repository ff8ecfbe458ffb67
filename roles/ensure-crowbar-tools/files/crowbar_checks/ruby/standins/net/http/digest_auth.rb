# SPDX-License-Identifier: Apache-2.0
# Stand-in for the gem net-http-digest_auth: our API asks nobody for a password.

require "net/http"

module Net
  class HTTP
    class DigestAuth
      def auth_header(*)
        raise "the API asked for a password, and the gem net-http-digest_auth is not installed"
      end
    end
  end
end
