"""Fenestra inside the tools of others, each with the real client; one that is not installed is skipped, and says so.

``make test-integrations`` installs each client in an environment of its own, as ``environments/NAME.txt`` says, and
runs ``test_NAME.py`` there.
"""
