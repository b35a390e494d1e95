"""The steps of a processor, one module each; ``workflows.base`` only says in which order they run.

Every function takes the processor first and works on its public attributes, so that a user's subclass can
override the method of :class:`~pocket_coffea.workflows.base.BaseProcessorABC` that calls it.
"""

__all__: list[str] = []
