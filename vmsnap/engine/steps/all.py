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
from vmsnap.engine.steps.endings import EndGroups
from vmsnap.engine.steps.host_files import (
    ConfirmUnchanged,
    DiscardHostFile,
    StageHostFile,
    SwapHostFile,
)
from vmsnap.engine.steps.merges import MergeLayers
from vmsnap.engine.steps.overlays import DropLayer, MakeOverlay
from vmsnap.engine.steps.proof import ProveReturn
from vmsnap.engine.steps.purging import ForgetDomain, RemoveLeftFiles
from vmsnap.engine.steps.rows import Commit, CommitGroup, Finish, Register, Reserve
from vmsnap.engine.steps.switching import SwitchDisks

STEPS: Mapping[str, type[Step]] = {
    step.kind: step
    for step in (
        Commit,
        CommitGroup,
        ConfirmUnchanged,
        Define,
        DiscardHostFile,
        DropLayer,
        EndGroups,
        Fence,
        FenceManagedSave,
        Finish,
        ForgetDomain,
        LiftFence,
        MakeOverlay,
        MergeLayers,
        ProveReturn,
        RemoveLeftFiles,
        RemoveManagedSave,
        Register,
        Reserve,
        StageHostFile,
        SwapHostFile,
        SwitchDisks,
    )
}
