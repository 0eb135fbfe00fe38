"""The messages and the service of `seldon.proto`; generated, but for the proto itself."""
