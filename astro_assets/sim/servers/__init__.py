"""The simulated observatory's servers: real ones, on loopback, one module per source.

What belongs here: protocols, log-ins, files handed out, what was asked for. What does not: what
is in the files (`sim.night`).
"""
