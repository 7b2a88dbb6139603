"""The stores that settings add up to."""

from __future__ import annotations

from tapetum.settings import BucketRule, Settings
from tapetum.stores.router import Stores
from tapetum.stores.web import WebStore

#: Without a rule of their own, these schemes reach the real thing from the command line, with
#: the credentials the provider's environment gives.
_COMMAND_LINE_RULES = (
    BucketRule("s3://", "s3://{bucket}"),
    BucketRule("az://", "az://{bucket}"),
)


def stores_of(settings: Settings, *, local_files: bool = False) -> Stores:
    """Buckets and the web. ``local_files``: for one command of one person, who also reads and
    writes files of this machine, and buckets of other providers without a rule."""
    rules = (*_COMMAND_LINE_RULES, *settings.bucket_rules) if local_files else settings.bucket_rules
    return Stores(settings.buckets_dir, rules, _web(settings), files=local_files)


def _web(settings: Settings) -> WebStore | None:
    if settings.web_fetch == "off":
        return None
    hosts = settings.web_host_list if settings.web_fetch == "listed" else None
    return WebStore(public_only=settings.web_fetch == "public", hosts=hosts)
