package seed

import (
	"math/rand/v2"
	"strings"
)

// origin is where a name comes from, and so how it is built and written.
type origin struct {
	market *market
	sep    string
	// parts are what to choose from, in the order of writing.
	parts [][]string
}

// name is one of the origin's names.
func (o *origin) name() string {
	chosen := make([]string, len(o.parts))
	for i, p := range o.parts {
		chosen[i] = p[rand.IntN(len(p))]
	}
	return strings.Join(chosen, o.sep)
}

// origins take turns, so that even a few users show all sorts of names.
var origins = []origin{
	{&singapore, " ", [][]string{
		{"Tan", "Lim", "Lee", "Ng", "Ong", "Wong", "Goh", "Chua", "Chan", "Koh", "Teo", "Ang", "Yeo", "Tay", "Ho", "Low"},
		{"Wei Ming", "Jia Hui", "Kok Leong", "Mei Ling", "Zhi Hao", "Xin Yi", "Boon Keng", "Siew Lan", "Jun Jie", "Hui Min", "Chee Keong", "Li Ting", "Yong Sheng", "Pei Shan"},
	}},
	{&indonesia, " ", [][]string{
		{"Budi", "Agus", "Joko", "Bambang", "Eko", "Hendra", "Rizky", "Dimas", "Dewi", "Ratna", "Sri", "Indah", "Fitri", "Maya"},
		{"Santoso", "Wijaya", "Hidayat", "Nugroho", "Simanjuntak", "Siregar", "Hutapea", "Suryadi", "Kusuma", "Halim", "Tanuwijaya", "Nasution", "Gunawan", "Sitompul"},
	}},
	{&singapore, " ", [][]string{
		{"Suresh", "Rajesh", "Arjun", "Vikram", "Prakash", "Ganesh", "Priya", "Lakshmi", "Kavitha", "Deepa", "Anand", "Shanti"},
		{"Subramaniam", "Pillai", "Nair", "Krishnan", "Menon", "Iyer", "Ramasamy", "Muthusamy", "Sivakumar", "Naidu", "Singh Gill", "Chettiar"},
	}},
	{&singapore, " bin ", [][]string{
		{"Muhammad Faizal", "Ahmad", "Hafiz", "Khairul Anwar", "Ismail", "Mohd Rizal", "Shahrul", "Zulkifli", "Iskandar", "Syed Umar"},
		{"Abdul Rahman", "Othman", "Hassan", "Yusof", "Ibrahim", "Salleh", "Mohamed Noor", "Abu Bakar", "Jaafar", "Suratman"},
	}},
	{&indonesia, " ", [][]string{
		{"I Wayan", "I Made", "I Nyoman", "I Ketut", "I Gusti Ngurah", "Ida Bagus"},
		{"Sudiarta", "Suardana", "Widana", "Artawan", "Mahendra", "Putra", "Suweca", "Darmawan"},
	}},
	{&singapore, "", [][]string{
		{"陈", "林", "黄", "李", "张", "王", "吴", "刘", "蔡", "杨", "欧阳"},
		{"伟明", "佳慧", "志强", "美玲", "俊杰", "淑芬", "文华", "秀英", "国荣", "雅婷", "勇"},
	}},
	{&singapore, " ", [][]string{
		{"Zoë", "José", "Björn", "François", "Łukasz", "Jürgen", "Agnès", "Søren", "Chloé", "Márta", "Ștefan", "Eliška"},
		{"Müller", "Núñez", "Dvořák", "Sjöström", "Lefèvre", "Wiśniewski", "Ødegård", "Szabó", "Gonçalves", "Yılmaz", "Ionescu", "van der Veen"},
	}},
	{&indonesia, "", [][]string{ // many people have one name and no other
		{"Suparman", "Sumiati", "Hartono", "Sutrisno", "Wagiman", "Suyatmi", "Poniman", "Kartini", "Mulyono", "Parjono", "Sukarni", "Tukiyem"},
	}},
	{&singapore, " ", [][]string{
		{"佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤", "五十嵐"},
		{"健一", "美咲", "翔太", "陽子", "大輔", "由美", "直樹", "さくら", "恵子", "拓也", "エミ"},
	}},
	{&singapore, " binte ", [][]string{
		{"Nur Aisyah", "Siti Nurhaliza", "Noraini", "Farah", "Zainab", "Nurul Huda", "Rohani", "Hidayah", "Salmah", "Sharifah"},
		{"Abdul Rahman", "Othman", "Hassan", "Yusof", "Ibrahim", "Salleh", "Mohamed Noor", "Abu Bakar", "Jaafar", "Suratman"},
	}},
	{&indonesia, " ", [][]string{
		{"Ni Wayan", "Ni Made", "Ni Komang", "Ni Ketut", "Ni Luh", "Ida Ayu"},
		{"Sari", "Ayu Lestari", "Astuti", "Puspita", "Suryani", "Kusumawati", "Wulandari", "Dewi"},
	}},
	{&singapore, " ", [][]string{
		{"அருண்", "கவிதா", "கார்த்திக்", "பிரியா", "சுரேஷ்", "மீனா", "முருகன்", "லட்சுமி", "செந்தில்", "தமிழ்ச்செல்வி"},
		{"ராமசாமி", "சுப்ரமணியம்", "முத்துசாமி", "கணேசன்", "ராஜேந்திரன்", "பழனிசாமி", "செல்வராஜ்", "நடராஜன்", "வேலு", "குமார்"},
	}},
	{&singapore, " ", [][]string{
		{"Siobhán", "Anne-Marie", "Liam", "Jean-Luc", "Aoife", "Mary-Jane", "Seán", "Karl-Heinz", "Róisín", "D'Arcy"},
		{"O'Brien", "O’Sullivan", "Smith-Jones", "D'Angelo", "Mac Giolla", "L'Estrange", "Fitz-Gerald", "D'Almeida", "de Souza", "Saint-Exupéry"},
	}},
	{&indonesia, " ", [][]string{
		{"محمد", "أحمد", "علي", "حسن", "فاطمة", "عائشة", "خالد", "مريم", "يوسف", "ليلى"},
		{"السقاف", "الجنيد", "الكاف", "العطاس", "الحبشي", "باوزير", "الحداد", "العيدروس", "شهاب", "بن يحيى"},
	}},
	{&singapore, "", [][]string{
		{"김", "이", "박", "최", "정", "강", "조", "윤", "장", "남궁"},
		{"민준", "서연", "지훈", "지우", "도윤", "하은", "현우", "수빈", "준호", "유진"},
	}},
	{&indonesia, " ", [][]string{
		{"Oei", "Liem", "Tjoa", "Kwee", "Thio", "Njoo", "Sie", "Gouw"},
		{"Hok Gwan", "Tjin Hwa", "Sioe Lan", "Giok Nio", "Kian Gie", "Swan Bing", "Hian Tjoen", "Mei Hwa"},
	}},
	{&singapore, " ", [][]string{
		{"Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi"},
		{"Thị Hương", "Văn Minh", "Ngọc Ánh", "Quốc Bảo", "Thu Hà", "Đức Thắng", "Mỹ Linh", "Hữu Phước"},
	}},
	{&singapore, " ", [][]string{
		{"สมชาย", "สมหญิง", "ประเสริฐ", "มาลี", "วิชัย", "สุดา", "อนันต์", "กัญญา"},
		{"ใจดี", "รักไทย", "ศรีสุข", "ทองดี", "แสงจันทร์", "บุญมา", "วงศ์สวัสดิ์", "พงษ์ไพบูลย์"},
	}},
}
