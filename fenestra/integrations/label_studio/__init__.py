"""Label Studio's ML backend: predictions for its tasks, and a model that learns from its annotations.

label_config  which controls of a project mark which texts, and with which labels
labels        labels of the model ↔ labels of the project
predictions   entities of a task, as Label Studio shows them
store         annotations and texts, on disk
events        what a webhook tells → the store
examples      the store → corpora to learn from
retraining    a training job in a process of its own, checked before it serves
projects      the model of each project; one trainer for all
routes        the protocol over HTTP
server        the program: `fenestra label-studio`
"""
