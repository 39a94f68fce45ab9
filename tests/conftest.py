"""Shared by all tests; that it lies here makes ``golden`` importable as a package."""
