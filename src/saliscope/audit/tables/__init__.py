"""Audits on tables: proxies, groups, and the reasons for declining somebody."""
