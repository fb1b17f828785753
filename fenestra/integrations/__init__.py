"""Fenestra inside the tools of others: one module or folder a tool, with an extra of its own.

Each imports its tool when it is imported itself, and nothing here is imported by the rest of Fenestra but the command.
"""
