# SPDX-License-Identifier: Apache-2.0
"""Take the secrets out of what Crowbar and OpenStack write: JSON, configuration files, logs, keys.

Used by the module crowbar_logs on a node. A secret is what stands under a name of a secret, in JSON (everything below
it too), in `name = value`, `name: value`, Ruby's `name => value`, options, URLs, headers, SQL and XML; a private key;
a crypted password. What was learnt to be a secret in one place is taken out in every other, where it may stand
without a name, if it is long and odd enough not to be a word. In doubt more is taken out, never less.
"""

import contextlib
import json
import re

from ansible.module_utils.mirror_addresses import ADDRESS, shown

MARK = "[redacted]"
NAME = (
    r"[\w.:-]{0,60}(?:passw|passphrase|secret|token|credential|private[_-]?key|api[_-]?key|access[_-]?key|auth[_-]?key"
    r"|encryption[_-]?key|shared[_-]?key|htdigest|digest|cookie|authkey|[_-]pass\b|\bpass\b|[_-]pw\b|\bpsk\b)[\w.-]{0,60}"
)
NAMED = re.compile(NAME, re.IGNORECASE)
NOTHING = ("", "null", "nil", "none", "true", "false", "~", "{", "[", "{}", "[]", "|", ">", "{,", "[,")
VALUE = r"(?P<value>\\+\"(?:(?!\\+\").)*\\+\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s]+)"
# Alone on its line, a value goes to the line's end.
LINE = re.compile(rf"^(?P<head>[ \t#;:\"'-]*{NAME}[\"']?[ \t]*(?:=>|[=:])[ \t]*)(?P<value>[^\n]+)", re.I | re.M)
INLINE = re.compile(rf"(?P<head>\\*[\"':]?{NAME}\\*[\"']?[ \t]*(?:=>|[=:])[ \t]*){VALUE}", re.I)
OPTION = re.compile(rf"(?P<head>--?{NAME}[ \t]+){VALUE}", re.I)
OTHERS = [
    re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*:)(?P<value>[^\s/]+)(?=@)", re.I),
    re.compile(r"(?P<head>(?<!\S)(?:-u|--user)[ =][\"']?[^\s:\"']+:)(?P<value>[^\s\"']+)"),
    re.compile(r"(?P<head>\bmysql\S*\b[^\n]*?\s-p)(?P<value>[^\s]+)"),
    re.compile(r"(?P<head>\b(?:Proxy-)?Authorization\\*[\"']?(?:=>|[:=])[ \t]*)(?P<value>[^\n]+)", re.I),
    re.compile(r"(?P<head>\b(?:IDENTIFIED BY|PASSWORD)(?: PASSWORD)?\s+)(?P<value>'[^']*'|\"[^\"]*\")", re.I),
    re.compile(rf"(?P<head><(?P<tag>{NAME})>)(?P<value>[^<]*)(?=</(?P=tag)>)", re.I),
    re.compile(r"(?P<head>)(?P<value>\$(?:1|2[aby]|5|6|y|apr1)\$[./A-Za-z0-9$=,]+)"),
]
KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
# Of a log whose head was cut off.
KEY_END = re.compile(r"\A(?:(?!-----BEGIN).)*?-----END [A-Z ]*PRIVATE KEY-----", re.S)


# Cheap, and asked first: most lines of a log have none of it.
HINT = re.compile(
    r"passw|phrase|secret|token|credential|key|digest|cookie|pass|pw|psk|://|-u|--user|authori[sz]ation|identified"
    r"|mysql|\$(?:[156y]|2[aby]|apr1)\$",
    re.IGNORECASE,
)


def is_odd(value):
    """Tell whether a secret is one wherever it stands: long, and no word."""
    return len(value) >= 8 and (len(value) >= 16 or not re.fullmatch(r"[a-z]+", value))


class Redactor:
    """Learns secrets from texts, then takes them out of texts."""

    def __init__(self, secrets):
        self.secrets = {secret for secret in secrets if secret}
        self.learnt = None

    def note(self, value):
        """Keep a value that stood under a secret's name."""
        value = value.strip().rstrip(",;").strip("\\\"'")
        if is_odd(value) and value != MARK:
            self.secrets.add(value)

    def replace(self, found):
        """Return what takes the place of a name and its secret."""
        value = found.group("value")
        if value.strip().rstrip(",;").strip("\\\"'").lower() in NOTHING or MARK in value:
            return found.group(0)
        self.note(value)
        return found.group("head") + MARK

    def clean_json(self, content, below=False):
        """Return a structure without its secrets."""
        if isinstance(content, dict):
            return {key: self.clean_json(value, below or bool(NAMED.search(key))) for key, value in content.items()}
        if isinstance(content, list):
            return [self.clean_json(value, below) for value in content]
        if not below or content is None or isinstance(content, bool) or content == "":
            return content
        self.note(str(content))
        return MARK

    def named(self, text):
        """Return a text without what stands under a secret's name."""
        text = KEY_END.sub(MARK, KEY.sub(MARK, text))
        return "\n".join(self.line(line) if HINT.search(line) else line for line in text.split("\n"))

    def line(self, line):
        """Return one line without."""
        for pattern in (LINE, INLINE, OPTION, *OTHERS):
            line = pattern.sub(self.replace, line)
        # A user and a query, which may be a mirror's token, by no name.
        return ADDRESS.sub(lambda found: shown(found.group()), line)

    def by_name(self, text):
        """Return a text, or JSON, without what stands under a secret's name."""
        if text.lstrip()[:1] in ("{", "["):
            with contextlib.suppress(ValueError):
                text = json.dumps(self.clean_json(json.loads(text)), indent=2) + "\n"
        return self.named(text)

    def learn(self, text):
        """Keep the secrets of a text."""
        self.by_name(text)
        self.learnt = None

    def clean(self, text):
        """Return a text without secrets."""
        text = self.by_name(text)
        if self.learnt is None:
            ordered = sorted(self.secrets, key=len, reverse=True)
            forms = [form for secret in ordered for form in (secret, json.dumps(secret)[1:-1])]
            self.learnt = re.compile("|".join(re.escape(form) for form in forms))
        return self.learnt.sub(MARK, text) if self.secrets else text
