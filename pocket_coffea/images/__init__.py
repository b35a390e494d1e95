"""From locked inputs to an image named by its digest. Knows nothing of coffea, sites' queues or terminals.

``definition``  reads Apptainer definition files           ``locks``     what the images are made of
``project``     the code that is baked in                  ``inputs``    all that decides it, one digest
``fetch``       packages by their hash                     ``rootfs``    the folders and files of the image
``squashfs``    the root file system as one file           ``sif``       the image file itself
``builder``     all of these in order                      ``store``     input digest -> image
``compare``     which file differs                         ``apptainer`` run, test and shell
``refresh``     new locks                                  ``machine``   what is missing for a build
"""
