"""Students, one file each: ``students/<name>.py`` is what ``distill.student: <name>`` selects.

A student file has

- ``Settings``, a `Section` with its own settings (``distill.options.<name>``),
- ``build(settings, *, target_dim, clip_shape)``, which returns a network: a module that maps normalised pixels, float
  ``b c t h w``, to a `StudentOutput`,
- optionally ``resolve(settings, *, clip_shape, grid)``, which returns settings that a saved student can be built from
  without other files; what is null follows the clips there: their shape, and how many fragments they have per side,
- optionally ``initialise(network, settings)``, which gives a network that starts training its first values, such as a
  checkpoint's. It is not called when a trained student is loaded.
- optionally ``begin_from(network, settings, weights)``, called after that with the values of the trained student that
  ``distill.initial`` names, by their names in its network; it raises `StudentError` where they do not fit. A student
  without it takes exactly the values of its own network.

A setting ``tune`` other than ``all`` trains only a part of a trained student, and so needs ``distill.initial``.
What students share is in ``shared/``.
"""
