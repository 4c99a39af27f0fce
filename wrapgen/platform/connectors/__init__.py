"""Connectors: other storage under the data API (`s3://bucket/key`), configured per account.

`configured` says which account has which; each kind of storage is a module of its own.
"""
