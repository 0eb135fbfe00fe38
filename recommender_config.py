"""The settings. Environment variables with the prefix SELDON_ win over them:
SELDON_RECOMMENDER_ALG=most_popular, SELDON_MEMCACHE__servers=mc1:11211,mc2:11211."""

RECOMMENDER_ALG = "example_alg"  # the algorithm: a file in algs/, or a list of files tried in order
RECOMMENDER_ALGS = {}  # other algorithms for some clients: {'client': 'name' or ['name', ...]}
# memcached servers in the order the Seldon server lists them, connections per process
MEMCACHE = {
    "servers": ["127.0.0.1:11211"],
    "pool_size": 4,
}
RECOMMENDER_MODEL = ""  # folder of a saved recommender, for saved_recommender
INTERACTIONS = ""  # events that most_popular and recent_similarity learn from
RANDOM_SEED = None  # seed of example_alg, so that the same request gets the same answer
SCORE_NORMALIZATION = "max"  # 'max' divides by the best score; 'none' only clips to 0..1
ON_CANDIDATE_FAILURE = "error"  # memcached cannot be asked: 503, or the algorithm's own items
CACHE_BUDGET_MS = 150  # time for all memcached calls of one request
ALGORITHM_BUDGET_MS = 400  # time for all algorithms of one request; the Seldon server waits 2 s
ALGORITHM_SLOTS = 4  # calls of one algorithm at a time in a process; a stuck call holds one
CANDIDATE_CACHE_BYTES = 67_108_864  # memory for parsed candidate lists in each process
CANDIDATE_TRUST_SECONDS = 0  # how long a list is used without asking memcached whether it changed
MAX_CANDIDATES = 200_000  # ids read of one request's lists; the rest is cut and the answer flagged
MAX_QUERY_BYTES = 65_536  # longest query string; above it 414
MAX_BODY_BYTES = 1_048_576  # longest body of POST /recommend and /predict; above it 413
MAX_WAITING = 64  # requests waiting in one worker before it refuses more with 503
REQUIRE_CACHE = False  # /readyz answers 503 while no memcached server can be reached
DRAIN_SECONDS = 1  # after SIGTERM: /readyz says 503 and requests are still taken for this long
LOG_LEVEL = "INFO"  # INFO writes a line a request; WARNING only what is wrong
LOG_QUERIES = 0  # share of requests whose query and answer are logged, for seldon.replay
LOG_USER_KEY = (
    ""  # a secret under which user ids in the log are hashed; empty logs them as they are
)
# keys of the models API (header x-api-key); without any it is not mounted
API_KEYS = {
    "admin": [],
    "recommend": [],
}
MODELS_CALLS_PER_MINUTE = 600_000  # calls with one key on one host, above it 429; 0 is no limit
# calls from one address without a valid key, above it 429; 0 is no limit
MODELS_REFUSALS_PER_MINUTE = 60
MODELS_ROOT = "var/models"  # folder of the models API's trained models and their registry
# where usage and catalog files lie: a folder in it is a container
MODELS_INPUT_ROOT = "var/inputs"
MODELS_DATABASE = ""  # registry of models; empty is SQLite in MODELS_ROOT, for one host
MODELS_LOADED = 16  # models of the models API in memory per process
MODELS_MEMORY_BYTES = 4_294_967_296  # and their files' size together
TRAINING_MEMORY_BYTES = 0  # memory a training may use; 0 is four fifths of the machine or container
START_TRAINER = True  # start a trainer beside the web processes when there is something to train
SWAGGER_UI = True  # serve the models API's description at /swagger
MODELS_PAGE = True  # serve the page for people at /models, behind an admin key
