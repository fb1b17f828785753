"""Which release of Fenestra this is. The build reads it here: to ask what is installed takes long at every start."""

VERSION = "0.1.0"
