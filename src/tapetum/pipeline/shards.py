"""From responses to a shard object in the bucket."""

from __future__ import annotations

from typing import Any

from tapetum.errors import InvalidObjectName, ObjectForbidden, ObjectNotFound, OutputNotWritable
from tapetum.stores.router import Stores
from tapetum.tasks.plan import Shard
from tapetum.vision import messages


def shard_uri(output_uri: str, shard: Shard) -> str:
    """Where ``shard`` goes: prefix and name are joined as plain strings, as Google does; a bare
    ``gs://bucket`` means its root."""
    if output_uri.count("/") == 2:
        output_uri += "/"
    return output_uri + shard.name


def write_shard(
    stores: Stores, output_uri: str, shard: Shard, response: Any, api_version: str = "v1"
) -> None:
    """Write ``response``, a ``BatchAnnotateImagesResponse`` or ``AnnotateFileResponse``, as JSON,
    in the messages of ``api_version``.

    Raises `OutputNotWritable` when the prefix cannot be written, `StoreUnavailable` when it may
    well be later.
    """
    content = messages.to_json(messages.VERSIONS[api_version].of_v1(response))
    try:
        stores.write(shard_uri(output_uri, shard), content, "application/json")
    except (InvalidObjectName, ObjectForbidden, ObjectNotFound) as error:
        raise OutputNotWritable(f"Error writing final output to: {output_uri}") from error
