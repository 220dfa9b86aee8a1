"""A circuit cut along its light cones, as one Program over the programs of its parts. A wing."""
