"""Words into rows: surface, gazetteers, the lexicon, the table of vectors."""
