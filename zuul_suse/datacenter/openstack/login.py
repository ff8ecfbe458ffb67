# SPDX-License-Identifier: Apache-2.0
"""One reading of clouds.yaml, the session made of it, and everything that was learnt with it; replaced as a whole.

Used by `session`, by many threads.
"""

from __future__ import annotations

from copy import deepcopy

import requests
from keystoneauth1 import session as keystone_session
from keystoneauth1.exceptions import ClientException, HttpError
from openstack.config.cloud_region import CloudRegion
from openstack.exceptions import SDKException

from zuul_suse.datacenter import DatacenterError, TryElsewhere, WrongConfiguration
from zuul_suse.datacenter.openstack.errors import translate
from zuul_suse.datacenter.openstack.microversion import Version
from zuul_suse.datacenter.openstack.turn import Turn

FOREIGN = (ClientException, SDKException, requests.RequestException, OSError)  # what the libraries raise


class RefusedLogin(WrongConfiguration):
    """Keystone refused the credentials."""


class RefusedToken(TryElsewhere):
    """A service refused a token that keystone had just given."""


class Login:
    """See the module. Threads share it; its caches are filled by whoever comes first."""

    def __init__(self, place: str, config: CloudRegion, session: keystone_session.Session) -> None:
        self.config = config
        self.given = deepcopy(config.config)  # the SDK may write into its own
        self.session = session
        self.endpoints: dict[str, tuple[str | None, float]] = {}
        self.version: Version | None = None  # the compute microversion, None before it is known
        self.version_until = 0.0
        self.discovery = Turn()
        self._place = place
        self._turn = Turn()

    def access(self) -> object:
        """A token and what came with it, the one there is as long as it is good."""
        return self._turn.take(self._access)

    def _access(self) -> object:
        try:
            return self.session.auth.get_access(self.session)  # type: ignore[union-attr]
        except DatacenterError:
            raise
        except FOREIGN as error:
            raise self.translated(error) from error
        except Exception as error:  # keystoneauth has no better for "password is a required attribute"
            raise RefusedLogin(f"{self._place}: authentication: {error}") from error

    def translated(self, error: Exception) -> DatacenterError:
        """The house's word for an exception; a request's own error status raises none, so those are keystone's."""
        said = translate(self._place, error)
        if isinstance(error, HttpError) and type(said) is WrongConfiguration:
            return RefusedLogin(str(said), said.rest)
        return said
