"""A server of the Model Context Protocol: tools that a language model calls to find names; needs the extra ``mcp``.

``fenestra mcp`` runs it. ``tools`` has what can be called, ``answers`` what comes back, ``transports`` how it is
reached.
"""
