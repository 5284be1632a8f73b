"""Energy-based models: learning them burns its energy in sampling, which makes them a workload of its own kind.

``points`` and ``codes`` make the data, ``networks`` and ``gibbs`` the models (torch), ``methods`` learn them, ``measures``
says how good they became. May import ``errors`` and the registry of workloads; importing this package loads no torch.
"""
