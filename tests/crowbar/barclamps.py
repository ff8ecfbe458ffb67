# SPDX-License-Identifier: Apache-2.0
"""Small made-up Crowbar projects, in the layout of 2014 (a barclamp each) and in the later one (several in a project).

Called by the tests. Each project is a folder below the one that the tests give.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

SCHEMA = {
    "type": "map",
    "mapping": {
        "id": {"type": "str", "pattern": "/^web-|^template-web$/", "required": True},
        "description": {"type": "str"},
        "attributes": {
            "type": "map",
            "mapping": {
                "web": {
                    "type": "map",
                    "mapping": {
                        "port": {"type": "int", "required": True},
                        "names": {"type": "seq", "sequence": [{"type": "str"}]},
                        "tuning": {"type": "map", "mapping": {"=": {"type": "str"}}},
                    },
                }
            },
        },
        "deployment": {
            "type": "map",
            "mapping": {
                "web": {
                    "type": "map",
                    "mapping": {
                        "schema-revision": {"type": "int"},
                        "crowbar-applied": {"type": "bool"},
                        "crowbar-status": {"type": "str"},
                        "crowbar-committing": {"type": "bool"},
                        "crowbar-queued": {"type": "bool"},
                        "elements": {
                            "type": "map",
                            "mapping": {"web-server": {"type": "seq", "sequence": [{"type": "str"}]}},
                        },
                    },
                }
            },
        },
    },
}
TEMPLATE: dict[str, Any] = {
    "id": "template-web",
    "attributes": {"web": {"port": 80, "names": ["here"], "tuning": {"a.b": "c"}}},
    "deployment": {"web": {"schema-revision": 2, "crowbar-applied": False, "elements": {}}},
}
SCENARIO = """\
proposals:
- barclamp: web
  attributes:
    port: ##port##
  deployment:
    elements:
      web-server:
      - @@controller1@@
"""


def write(project: Path, files: dict[str, str]) -> None:
    """Write files of a project."""
    for name, content in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(content))


def cookbook(name: str, depends: tuple[str, ...] = (), recipe: str = "") -> dict[str, str]:
    """The files of a cookbook."""
    asks = "".join(f'depends "{other}"\n' for other in depends)
    return {
        f"chef/cookbooks/{name}/metadata.rb": f'name "{name}"\n{asks}',
        f"chef/cookbooks/{name}/recipes/default.rb": recipe or f'log "{name}"\n',
    }


def yaml_of(name: str, requires: tuple[str, ...] = (), member: str = "") -> str:
    """A barclamp's YAML."""
    return (
        f"barclamp:\n  name: {name}\n  requires: {json.dumps(requires)}\n"
        + (f"  member: [{member}]\n" if member else "")
        + "crowbar:\n  layout: 1\n  order: 10\n"
    )


def databag(prefix: str = "template-web") -> dict[str, str]:
    """The barclamp web's schema, template and migrations."""
    place = "chef/data_bags/crowbar"
    template = {**TEMPLATE, "id": prefix}
    schema = json.loads(json.dumps(SCHEMA).replace("^web-|^template-web$", f"^(bc-)?web-|^{prefix}$"))
    return {
        f"{place}/{prefix}.schema": json.dumps(schema),
        f"{place}/{prefix}.json": json.dumps(template),
        f"{place}/migrate/web/001_first.rb": "def upgrade(ta, td, a, d)\n  [a, d]\nend\n",
        f"{place}/migrate/web/002_second.rb": "def upgrade(ta, td, a, d)\n  [a, d]\nend\n",
    }


def installer(folder: Path) -> Path:
    """The project with the installer."""
    write(folder, {"scripts/barclamp_install.rb": "puts 1\n", "README.md": "not laid\n"})
    return folder


def later(folder: Path) -> dict[str, Path]:
    """Three projects of the later layout, the last one needing the second."""
    projects = {f"acme/{name}": folder / name for name in ("installer", "core", "web")}
    installer(projects["acme/installer"])
    write(projects["acme/core"], {
        "crowbar.yml": yaml_of("crowbar"), "dns.yml": yaml_of("dns", ("@crowbar",), "crowbar"),
        ".travis.yml": "language: ruby\n",
        **cookbook("common"), **cookbook("dns", ("common",), 'include_recipe "common"\n'),
        "chef/roles/dns.rb": 'name "dns"\nrun_list("recipe[dns]")\n',
        "bin/crowbar_dns": "#!/usr/bin/env ruby\nputs 1\n",
    })  # fmt: skip
    write(projects["acme/web"], {
        "web.yml": yaml_of("web", ("dns", "@crowbar")), **databag(),
        **cookbook("web", ("common",), 'include_recipe "common::default"\ninclude_recipe "web::#{node[:kind]}"\n'),
        "chef/roles/web-server.rb": 'name "web-server"\nrun_list("recipe[web::default]")\n',
    })  # fmt: skip
    return projects


def of_2014(folder: Path) -> dict[str, Path]:
    """The same in the layout of 2014: each barclamp a project, its file called crowbar.yml."""
    projects = {f"acme/{name}": folder / name for name in ("installer", "barclamp-dns", "barclamp-web")}
    write(projects["acme/installer"], {"releases/x/extra/barclamp_install.rb": "puts 1\n", "crowbar.json": "{}"})
    write(projects["acme/barclamp-dns"], {"crowbar.yml": yaml_of("dns", (), "crowbar"), **cookbook("dns")})
    write(projects["acme/barclamp-web"], {
        "crowbar.yml": yaml_of("web", ("dns", "@crowbar")), **databag("bc-template-web"),
        **cookbook("web", ("dns",), 'include_recipe "dns"\n'),
    })  # fmt: skip
    return projects


def validator(folder: Path) -> Path:
    """A stand-in for crowbar-validate-databags: it says that a migration is there twice if one is called so."""
    write(folder, {
        "lib/crowbar/validate/databags.rb": """\
            module Crowbar
              module Validate
                module Databags
                  def self.validate(dir)
                    return [0] if Dir["#{dir}/migrate/*/twice*"].empty?
                    puts "Found duplicated number migration(s) on #{dir}/migrate/web/"
                    [0, -3]
                  end
                end
              end
            end
            """,
    })  # fmt: skip
    return folder
