"""The durable engine. Import ``durable`` and ``host``; only ``durable`` knows which engine it is."""
