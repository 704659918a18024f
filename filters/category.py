"""The category vocabulary: every id that a list, a tier or a verdict may name, with its titles.

Ids are the contract between lists, policies and dashboards, so they are English, short and never reused.
``locked`` categories are blocked for everybody, staff too, and no rung of the ladder below the first lifts them.
``open`` categories are never blocked by a category (see policies/decide.py for where each one speaks).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    id: str
    vi: str
    en: str
    locked: bool = False
    open: bool = False

    @property
    def test_name(self) -> str:
        """The harmless name by which anyone can see that the category works, for example ``gambling.manglanh.test``."""
        return f"{self.id}.manglanh.test"


CATEGORIES: dict[str, Category] = {
    category.id: category
    for category in (
        Category("child-abuse", "Xâm hại trẻ em", "Child abuse", locked=True),
        Category("unlawful", "Vi phạm pháp luật", "Unlawful", locked=True),
        Category("adult", "Người lớn, khiêu dâm", "Adult"),
        Category("gambling", "Cờ bạc, cá độ", "Gambling"),
        Category("drugs", "Ma tuý, chất gây nghiện", "Drugs"),
        Category("violence", "Bạo lực, máu me", "Violence"),
        Category("self-harm", "Tự hại", "Self-harm"),
        Category("hate", "Thù ghét, kỳ thị", "Hate"),
        Category("scam", "Lừa đảo", "Scam"),
        Category("phishing", "Giả mạo, đánh cắp thông tin", "Phishing"),
        Category("malware", "Mã độc", "Malware"),
        Category("cryptojacking", "Đào tiền ảo lén", "Cryptojacking"),
        Category("bypass", "Vượt lọc (VPN, proxy, DoH)", "Filter bypass"),
        Category("dating", "Hẹn hò", "Dating"),
        Category("social", "Mạng xã hội", "Social networks"),
        Category("video", "Video, phát trực tuyến", "Video and streaming"),
        Category("games", "Trò chơi", "Games"),
        Category("chat", "Nhắn tin", "Chat"),
        Category("shopping", "Mua sắm", "Shopping"),
        Category("piracy", "Nội dung lậu", "Piracy"),
        Category("ads", "Quảng cáo", "Advertising"),
        Category("tracking", "Theo dõi người dùng", "Tracking"),
        Category("ai", "Trí tuệ nhân tạo tạo sinh", "Generative AI"),
        Category("help", "Trợ giúp trẻ em", "Help for children", open=True),
        Category("learning", "Học tập", "Learning", open=True),
    )
}

LOCKED = frozenset(category.id for category in CATEGORIES.values() if category.locked)
