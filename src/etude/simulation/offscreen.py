"""Pictures of MuJoCo simulations, from one graphics context for all environments of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etude.simulation.rendering import choose_backend

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Offscreen"]


class Offscreen:
    """Draws any simulation that was made from the same model file.

    The context holds meshes and textures, which the file decides; positions come with each call. One context
    for many environments saves memory and, with software rendering, most of the start-up.

    Args:
        model: the MuJoCo model (`mjModel`).
        height, width: of the pictures, pixels.
        shadows: draw shadows and reflections; without a GPU they take most of the time.
    """

    def __init__(self, model: Any, height: int, width: int, *, shadows: bool = True) -> None:
        choose_backend()
        import mujoco

        self._size = (height, width)
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        self._gl = mujoco.GLContext(width, height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=1000)
        if not shadows:
            self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._options, self._nudge = mujoco.MjvOption(), mujoco.MjvPerturb()

    def draw(self, model: Any, data: Any, camera: int) -> npt.NDArray[Any]:
        """What the camera of that number sees, uint8 `(height, width, 3)`."""
        import mujoco
        import numpy as np

        height, width = self._size
        viewport = mujoco.MjrRect(0, 0, width, height)
        self._gl.make_current()
        self._camera.fixedcamid = camera
        mujoco.mjv_updateScene(
            model, data, self._options, self._nudge, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        mujoco.mjr_render(viewport, self._scene, self._context)
        picture = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(picture, None, viewport, self._context)
        return np.ascontiguousarray(picture[::-1])  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Free the context."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()
