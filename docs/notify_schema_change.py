"""Notifies a schema change from Python, by pymongo: a function to import, or
python notify_schema_change.py CREATE_INDEX transactions amount_idx
"""
import os
import sys
import time

from pymongo import MongoClient


def notify_schema_change(operation, collection, index_name=None, statement=None):
    """Write one notification where DDLTAIL_SINK_URI or DDLTAIL_MONGODB_URI says, into DDLTAIL_DATABASE or the URI's database."""
    uri = os.environ.get("DDLTAIL_SINK_URI") or os.environ.get("DDLTAIL_MONGODB_URI") or "mongodb://localhost:27017"
    words = [operation.replace("_", " "), collection] + ([index_name] if index_name else [])
    notification = {"operation": operation, "collection": collection}
    if index_name:
        notification["index_name"] = index_name
    notification |= {"operation_statement": statement or " ".join(words), "timestamp": time.time(), "processed": False, "source": "manual"}
    with MongoClient(uri, w="majority") as client:
        database = os.environ.get("DDLTAIL_DATABASE") or client.get_default_database("ddltail").name
        client[database].schema_notifications.insert_one(notification)


if __name__ == "__main__":
    notify_schema_change(*sys.argv[1:])
