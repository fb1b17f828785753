"""What may be asked and what is answered: routes, schemas, filters and units."""
