"""The score of a caption: its words beside those of the right one, by BLEU-4 and ROUGE-L."""

import math
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import word_tokenize
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from surefoot import BadInput
from surefoot.tools.pictures import caption_reward
from surefoot.tools.pictures.rewards import LONGEST_CAPTION

EPSILON = 0.1
"""What the first smoothing of Chen and Cherry counts in place of no n-gram."""
CAT = "the cat is on the mat"
captions = st.text(st.characters(exclude_categories=(), exclude_characters="<"), max_size=60) | st.text(
    "ab .", max_size=30
)


def formed(caption: str) -> str:
    return f"<caption>{caption}</caption><bbox>[[0, 0, 9, 9]]</bbox><answer>7</answer>"


def score(caption: str, right: str) -> float:
    return caption_reward(formed(caption), right)


def half(bleu: float, rouge: float) -> float:
    return pytest.approx((bleu + rouge) / 2, abs=1e-12)  # type: ignore[no-any-return]


def f1(common: int, found: int, right: int) -> float:
    """ROUGE-L's: the longest common subsequence as a share of either side."""
    precision, recall = common / found, common / right
    return 2 * precision * recall / (precision + recall)


def test_one_word_of_six_is_another() -> None:
    # Of its 6, 5, 4, 3 n-grams these are in the right one: the cat on the mat; the-cat on-the the-mat; on-the-mat; none.
    bleu = (5 / 6 * 3 / 5 * 1 / 4 * EPSILON / 3) ** (1 / 4)
    assert score("the cat sat on the mat", CAT) == half(bleu, f1(5, 6, 6))


def test_a_word_is_missing() -> None:
    # 3 of 3 words, red-bar of 2 pairs, no triple of 1; 3 words have no 4-gram, which counts as none of 1.  Brevity: exp(1 - 4/3).
    bleu = math.exp(1 - 4 / 3) * (3 / 3 * 1 / 2 * EPSILON / 1 * EPSILON / 1) ** (1 / 4)
    assert score("a red bar", "a tall red bar") == half(bleu, f1(3, 3, 4))


def test_a_repeated_word_counts_as_often_as_it_is_in_the_right_one() -> None:
    # `the` twice of 7; the-the, and so on, never: 0 of 6, 5, 4.
    bleu = (2 / 7 * EPSILON / 6 * EPSILON / 5 * EPSILON / 4) ** (1 / 4)
    assert score("the the the the the the the", CAT) == half(bleu, f1(2, 7, 6))


def test_bleu_takes_words_as_they_are_and_rouge_their_stems() -> None:
    # bars / bar, painted / paint: none of 2 words alike, 0 of 1 pair; no triple, no 4-gram.
    bleu = 0.0
    assert score("painted bars", "paint bar") == half(bleu, f1(2, 2, 2))


def test_marks_are_words_of_bleu_and_none_of_rouge() -> None:
    # a red bar . / a red bar: 3 of 4, 2 of 3, 1 of 2, 0 of 1.
    bleu = (3 / 4 * 2 / 3 * 1 / 2 * EPSILON / 1) ** (1 / 4)
    assert score("a red bar.", "a red bar") == half(bleu, 1.0)


def test_sentences_end_at_their_marks_wherever_they_stand() -> None:
    assert score("A red bar. Two dots!", "a red bar .  two dots !") == half(1.0, 1.0)


@pytest.mark.parametrize(
    "caption",
    [
        CAT,
        CAT.upper(),
        "Красный столбец выше синего столбца",
        "ένα κόκκινο τετράγωνο δίπλα",
        "Ein größeres Rechteck über dem kleinen",
        "लाल पट्टी नीली पट्टी से ऊँची",
        "🟥 is left of 🟦 here",
    ],
)
def test_a_caption_of_four_words_in_any_script_is_like_itself(caption: str) -> None:
    assert score(caption, caption) == half(1.0, 1.0)


def test_other_words_of_another_script_are_not_alike() -> None:
    assert score("собака", "кошка") == score("größer", "gr er") == 0.0
    # 4 of 5 words; 3 of 4, 2 of 3, 1 of 2.
    bleu = (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4)
    same = "красный столбец выше синего"
    assert score(f"{same} круга", f"{same} столбца") == half(bleu, f1(4, 5, 5))


@pytest.mark.parametrize("caption", ["bar", "猫坐在垫子上"])
def test_one_word_has_no_pairs_even_beside_itself(caption: str) -> None:
    """Where blanks part no words, a run of letters is one."""
    bleu = (1 / 1 * EPSILON / 1 * EPSILON / 1 * EPSILON / 1) ** (1 / 4)
    assert score(caption, caption) == half(bleu, 1.0)


@pytest.mark.parametrize(("caption", "right"), [("", ""), ("", CAT), (CAT, ""), ("\n ", CAT), ("dog", CAT)])
def test_nothing_is_like_nothing(caption: str, right: str) -> None:
    assert score(caption, right) == 0.0


def test_a_text_without_the_form_has_no_caption() -> None:
    assert caption_reward(CAT, CAT) == caption_reward(f"<caption>{CAT}</caption>", CAT) == 0.0


plain_words = st.text("abcdgins NR'-_9,", max_size=40) | st.sampled_from(
    ["bars running", "Bar's", "a running bar"]
)


@given(plain_words, plain_words)
def test_in_one_ascii_sentence_it_is_what_satori_computes(caption: str, right: str) -> None:
    words, wanted = (word_tokenize(text.lower(), preserve_line=True) for text in (caption, right))
    bleu = sentence_bleu([wanted], words, smoothing_function=SmoothingFunction().method1)
    rouge = RougeScorer(["rougeL"], use_stemmer=True).score(right, caption)["rougeL"].fmeasure
    assert score(caption, right) == (bleu + rouge) / 2


@given(captions, captions)
def test_the_score_of_any_text_is_between_0_and_1(caption: str, right: str) -> None:
    assert 0.0 <= score(caption, right) <= 1.0 + 1e-12


def test_a_caption_that_is_too_long_scores_nothing_and_a_right_one_is_refused() -> None:
    longest = ("cat " * LONGEST_CAPTION)[:LONGEST_CAPTION]
    assert score(longest, CAT) > 0.0 == score(longest + "a", CAT) == score("a" * 10**6, CAT)
    with pytest.raises(BadInput, match="a right caption has at most 2,000 characters, not 1,000,000"):
        score(CAT, "a" * 10**6)


@pytest.mark.parametrize("piece", ["a ", ". ", "'", "a'", "$", "-- ", "猫", "a.b "])
def test_the_longest_captions_are_compared_in_seconds(piece: str) -> None:
    longest = (piece * LONGEST_CAPTION)[:LONGEST_CAPTION]
    score(CAT, CAT)
    before = time.thread_time()
    score(longest, longest)
    assert time.thread_time() - before < 5.0


def test_without_the_extra_it_is_named() -> None:
    code = """if True:
        import sys
        sys.modules.update(dict.fromkeys(["nltk", "rouge_score"]))
        from surefoot.tools.pictures import caption_reward, format_reward
        format_reward("")
        try:
            caption_reward("", "a")
        except ValueError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert (
        done.stdout == "a caption's reward needs nltk and rouge_score: `pip install 'surefoot[captions]'`\n"
    )


def test_nothing_else_of_pictures_imports_nltk() -> None:
    code = """if True:
        import sys
        from surefoot.tools.pictures import *
        print(format_reward(""), "nltk" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "0.0 False\n"
