"""Learning from corrections while the service serves: off unless FENESTRA_LEARN_FOLDER names a folder.

    FOLDER/lock                         held while a model learns
           NAME.learn/corrections.jsonl what users corrected (`corrections`)
                      lock              held while that is read or written
                      serves.json       which of the models below serves (`lineage`)
                      models/…          what was learnt, each a checkpoint; a few of the last ones
                      state.json        how the last learning went (engine/learning.py)
                      learning.log      what its process wrote

The folder holds users' texts: it is made for its owner alone, and nothing of it is logged. Processes of one service
share it by locks and whole files; none keeps any of it in memory.
"""
