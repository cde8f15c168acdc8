import torch
from torch.testing import assert_close

from mmssl.functional.contrastive import nt_xent
from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.simclr import SimCLR


def test_is_encoder_head_and_loss() -> None:
    objective = SimCLR(SmallResNet(width=4, feature_dim=6), temperature=0.3, hidden_dim=10, projection_dim=5)
    objective.eval()
    first, second = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16)
    projections = [objective.head(objective.encoder(images)) for images in (first, second)]
    assert projections[0].shape == (4, 5)
    assert_close(objective({"view_1": first, "view_2": second})["loss"], nt_xent(*projections, temperature=0.3))
