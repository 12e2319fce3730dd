"""The machine inside: numbers, values, keys and expressions. Pure; knows neither store nor operation."""
