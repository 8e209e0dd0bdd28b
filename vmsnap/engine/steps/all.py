"""The table of all steps by their kind, for reading a journal."""

from collections.abc import Mapping

from vmsnap.engine.journal import Step
from vmsnap.engine.steps.definition import (
    Define,
    Fence,
    FenceManagedSave,
    LiftFence,
    RemoveManagedSave,
)
from vmsnap.engine.steps.host_files import (
    ConfirmUnchanged,
    DiscardHostFile,
    StageHostFile,
    SwapHostFile,
)
from vmsnap.engine.steps.merges import EndGroups, MergeLayers
from vmsnap.engine.steps.overlays import DropLayer, MakeOverlay, SwitchDisks
from vmsnap.engine.steps.rows import Commit, Finish, Reserve

STEPS: Mapping[str, type[Step]] = {
    step.kind: step
    for step in (
        Commit,
        ConfirmUnchanged,
        Define,
        DiscardHostFile,
        DropLayer,
        EndGroups,
        Fence,
        FenceManagedSave,
        Finish,
        LiftFence,
        MakeOverlay,
        MergeLayers,
        RemoveManagedSave,
        Reserve,
        StageHostFile,
        SwapHostFile,
        SwitchDisks,
    )
}
