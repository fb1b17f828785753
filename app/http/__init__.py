"""HTTP/1.1 connections: parsing within limits, deadlines, pipelining, load shedding and graceful shutdown."""
