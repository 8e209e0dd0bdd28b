"""A machine's folder and what libvirt has of it, to be put back after each step of a sweep."""

import copy
import shutil

from vmsnap.store.opening import open_catalog


class SavedWorld:
    """A copy of a world; `put_back` returns it as it was, with its database opened anew."""

    def __init__(self, world):
        self.world = world
        self.copy = world.folder.parent / "saved"
        self.machine = copy.deepcopy(world.hypervisor.machines[world.uuid])
        shutil.copytree(world.folder, self.copy, symlinks=True)

    def put_back(self):
        self.world.ports.catalog.close()
        shutil.rmtree(self.world.folder)
        shutil.copytree(self.copy, self.world.folder, symlinks=True)
        self.world.hypervisor.machines[self.world.uuid] = copy.deepcopy(self.machine)
        url = f"sqlite:///{self.world.folder / 'state' / 'vmsnap.db'}"
        self.world = self.world.with_ports(catalog=open_catalog(url, create=True))
        return self.world
