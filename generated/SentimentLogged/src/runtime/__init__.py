"""The runtime: the same in every wrapper with this version. Do not edit it; build the wrapper again."""

VERSION = "2.2.0"
