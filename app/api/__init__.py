"""The HTTP interface: routes, schemas, filters and units of offsets."""
