"""Notifies a schema change from Python, by pymongo: a function to import, or
python notify_schema_change.py CREATE_INDEX transactions amount_idx

It writes where ddltail reads: into DDLTAIL_DATABASE, or the database that DDLTAIL_SINK_URI or DDLTAIL_MONGODB_URI names.
"""
import os
import sys
import time

from pymongo import MongoClient
from pymongo.uri_parser import parse_uri


def notify_schema_change(operation, collection, index_name=None, statement=None):
    uris = [u for u in map(os.environ.get, ("DDLTAIL_SINK_URI", "DDLTAIL_MONGODB_URI")) if u] or ["mongodb://localhost:27017"]
    named = [os.environ.get("DDLTAIL_DATABASE"), *(parse_uri(u)["database"] for u in uris)]
    database = next((name for name in named if name not in (None, "", "admin", "config", "local")), "ddltail")
    notification = {"operation": operation, "collection": collection} | ({"index_name": index_name} if index_name else {})
    words = " ".join([operation.replace("_", " "), collection] + ([index_name] if index_name else []))
    notification |= {"operation_statement": statement or words, "timestamp": time.time(), "processed": False, "source": "manual"}
    with MongoClient(uris[0], w="majority") as client:
        client[database].schema_notifications.insert_one(notification)


if __name__ == "__main__":
    notify_schema_change(*sys.argv[1:])
