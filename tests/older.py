"Files of weights as they were written before their words went into `model.safetensors`."
import hashlib, json
from safetensors.torch import save
from lbp_inpaint.nets.weights import json_digest

def save_old(net, folder, half=False, **info):
    "Two files: `model.safetensors` and, with its SHA-256, `config.json`."
    data = save({k:v.half() if half else v for k,v in net.state_dict().items()})
    write_old(folder, data, dict(format=1, network=net.config, sha256=hashlib.sha256(data).hexdigest(), **info))

def write_old(folder, data, config):
    folder.mkdir(parents=True, exist_ok=True)
    (folder/'model.safetensors').write_bytes(data)
    config['digest'] = json_digest({k:v for k,v in config.items() if k!='digest'})
    (folder/'config.json').write_text(json.dumps(config, indent=1))
